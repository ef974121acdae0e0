"""The pages' server: what they share, and the sounds and pictures that they show."""
