public import NebulaCore
