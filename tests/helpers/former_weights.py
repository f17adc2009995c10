"""The fast model's weights before it was taught by the thorough one: most tables of the documentation are of these."""

# sha256 of the model.safetensors that `configs/resnet50-cnn.yaml` made, and version 0.1.0 shipped.
FORMER_FAST = "584113eca813599aaf2a98e0e04a14b528fcf92195cc31bc84a6943e37b24163"
