"""The networks of AUCSeg's Table 1 that no kept library packages, in smp's conventions."""
