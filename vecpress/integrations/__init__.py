"""Other stacks, one module each, imported when they are used: their libraries are optional."""
