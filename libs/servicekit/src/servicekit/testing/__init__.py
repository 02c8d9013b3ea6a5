"""What tests of a service need: fakes of the ports, and real servers on free ports."""
