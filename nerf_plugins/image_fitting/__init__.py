"""Fitting one picture: the smallest example of the fields, without rays. (x, y) in, colour out."""
