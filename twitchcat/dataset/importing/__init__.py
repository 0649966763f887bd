"""Import: videos and images of this machine into the tables that collecting fills."""
