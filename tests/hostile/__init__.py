"""The campaign of bad input: whatever a bad day brings, the program ends in a sound result or in a sentence.

python -m tests.hostile --cases 5000 --seed 0
"""
