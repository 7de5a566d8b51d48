"""What is made of a trained run: pictures and videos."""
