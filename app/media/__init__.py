"""Looks at files that people send and makes what others see of them, in a child process that can do nothing else.

`examination.examine` is the way in. What the child runs is imported by the child only: it is kept small and quick.
"""
