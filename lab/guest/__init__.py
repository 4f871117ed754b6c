"""The lab's guest: a kernel, a busybox and one small program on a 24 MiB disk."""
