"""The research questions and the tables of the seeds: many small trainings, a DVC project of its own."""
