"""What the images of a pair are: image, labels or mask, channels, number type and range."""
