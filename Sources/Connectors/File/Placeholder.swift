internal import NebulaCore
