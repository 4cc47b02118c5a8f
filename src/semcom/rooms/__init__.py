"""How the built-in rooms are drawn: furniture and floor plans by kind of room, a ray caster, a depth camera."""
