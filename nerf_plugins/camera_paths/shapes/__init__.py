"""The shapes of camera paths: a file each with its options, their check, and where its views are; ``options.py`` lists them.

A shape around a point gives each view's angle, azimuth and distance, one through a dataset's images the times at which it passes them;
``poses.py`` makes camera matrices of either. So nothing here imports numpy, and the command line is quick.
"""
