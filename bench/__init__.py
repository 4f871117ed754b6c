"""What is measured, against what: each benchmark is one file and prints a ratio measured side by side in one run."""
