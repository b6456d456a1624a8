"""The rules: what a status means, what a session is worth, who may charge. Pure: no I/O, no clock."""
