"""From pictures to training data: loading, splits and delivery augmentation."""
