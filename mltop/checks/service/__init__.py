"""Services asked on the wire, in a child that can be abandoned."""
