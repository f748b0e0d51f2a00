"""Finding the pairs of a data set: folders, layouts, manifests and splits."""
