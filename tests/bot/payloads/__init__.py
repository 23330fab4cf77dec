"""Platform messages as they come over the wire, and the code to make them."""
