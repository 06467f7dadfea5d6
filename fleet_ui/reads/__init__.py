"""What pages show, one module per noun: queries cut to the sites of the viewer."""
