"""What a recipe can name: architectures, built-in recipes and a small set of weights. Imports no framework."""
