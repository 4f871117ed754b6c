"""The conductor: decides, journals, and owns the database. It never touches a hypervisor."""
