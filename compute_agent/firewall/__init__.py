"""What filters the guests of this host: a registry of drivers, and the one who keeps and applies the rules."""
