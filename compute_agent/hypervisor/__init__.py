"""One host's libvirt. Nothing outside this package imports libvirt; `driver.Hypervisor` is what others see."""
