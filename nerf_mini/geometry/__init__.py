"""Cameras, and where they stand: poses, rays and paths."""
