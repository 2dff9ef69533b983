"""Looking at devices before they are part of a site: who is there, and what it says.

Only reads. The wire is pymodbus's, not the scan's own master, and each reply is checked here:
pymodbus takes a reply of another length or function without a word. See docs/commissioning.md.
"""
