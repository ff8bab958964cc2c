"""The networks, their losses and their training. Torch only; opens no artifact and reads no params.yaml."""
