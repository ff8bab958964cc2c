"""The local web page of `posewright serve`: `studio` does the work, `server` answers the browser."""
