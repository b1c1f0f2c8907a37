print("perfbench: under construction")
