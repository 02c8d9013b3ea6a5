"""Several processes of one service behind one port, with one that watches over them."""
