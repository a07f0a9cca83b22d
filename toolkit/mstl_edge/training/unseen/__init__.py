"""What files say of images that they were not trained on: cross-fitting, doubt, doubtful labels."""
