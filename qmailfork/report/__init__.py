"""What a log says in numbers: counted in bounded memory, shown in a terminal, on a page, as a picture."""
