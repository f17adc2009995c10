"""What happens to a picture on its way from its maker to the detector."""
