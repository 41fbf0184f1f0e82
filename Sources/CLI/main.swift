print("nebula-swift")
