"""Files that are written: whole or not there, and never over others; tables, pictures, and the ffmpeg for videos."""
