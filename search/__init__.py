"""Queries in, time-coded hits out."""
