public import NebulaCore

/// The errors of a run, for the docs.
public let pipelineErrors: [ErrorSpecification] = [
  .init(
    "pipeline.too_many_rejected", "More records were rejected than max_rejected allows.",
    remedy: "Mend the source, or raise pipeline.max_rejected; the state is resumable."),
  .init(
    "pipeline.epoch_gone", "What was staged for an epoch is gone before it was committed.",
    remedy: "Nothing to do: its records are read again."),
  .init(
    "pipeline.fate_unknown", "The destination shows neither that an epoch is committed nor that it is not.",
    remedy: "Look at the destination; `nebula-swift state show` lists the epoch. Nothing is done until it is clear."),
  .init(
    "pipeline.pin_needs_exact_reread",
    "Parts of an epoch are visible and the others are gone, and the source can't read exactly that epoch again.",
    remedy: "Put back what is missing in the destination, or `nebula-swift state reset` to start over."),
  .init(
    "pipeline.no_boundary", "An epoch ended where no position is known.",
    remedy: "Report the defect; nothing is lost."),
]
