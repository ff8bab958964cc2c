"""What the field knows about a picture of a person: joints, heat maps, labels, masks, boxes, pairs."""
