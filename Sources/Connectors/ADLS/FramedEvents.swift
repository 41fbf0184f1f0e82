internal import NebulaCore
internal import NebulaFormats

/// Events as they are staged for layout `per_event`: a line that says where each goes, then its bytes and a newline.
final class FramedEvents {
  private let naming: EventNaming
  private let form: EventForm
  private let time: EventTime
  private let batch: RecordBatch
  private let changes: ChangeColumns
  private let compressors: CompressorShelf
  private let scratch = OutputBuffer()

  init(_ encoder: LakeEncoder, _ form: EventForm, _ batch: RecordBatch, _ changes: ChangeColumns) {
    naming = EventNaming(
      options: encoder.options, template: encoder.names.template, pipeline: encoder.names.pipeline)
    self.form = form
    self.batch = batch
    self.changes = changes
    time = EventTime(batch, fallback: encoder.fallbackTime)
    compressors = CompressorShelf(encoder.options.compression, level: encoder.options.compressionLevel)
  }

  func append(_ bytes: UnsafeRawBufferPointer, _ index: Int, to output: OutputBuffer) throws(NebulaError) {
    scratch.removeAll()
    try form.append(bytes, index, to: scratch)
    let name = try naming.name(batch, changes, index, bytes, time(index, bytes))
    let body = compressors.codec == .none ? nil : try compressors.compress(scratch.array)
    output.append("{\"key\":")
    JSONText.appendString(name.key, to: output)
    output.append(",\"event\":")
    JSONText.appendString(name.identity, to: output)
    output.append(utf8: ",\"bytes\":\(body?.count ?? scratch.count)}\n")
    if let body { output.append(body) } else { output.append(scratch) }
    output.append(UInt8(ascii: "\n"))
  }
}
