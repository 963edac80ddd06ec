my_source = get_source(...)
my_destination = get_destination(...)
my_destination.write(source_faker)
