import CLimits
import Glibc

/// What the figures were measured on.
enum Machine {
  static var cores: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) }

  static var description: String {
    let model = lines("/proc/cpuinfo").first { $0.hasPrefix("model name") }?.split(separator: ":").last ?? " unknown"
    let memory = lines("/proc/meminfo").first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    var name = utsname()
    uname(&name)
    let kernel = withUnsafeBytes(of: name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    let load = lines("/proc/loadavg").first?.split(separator: " ").first ?? "?"
    return """
      machine: \(model.drop { $0 == " " }), \(cores) cores, \(memory >> 20) GiB, Linux \(kernel), load \(load)
      built by: Swift \(compiler); simdjson uses \(String(cString: limit_simdjson_implementation()))
      """
  }

  private static var compiler: String {
    #if compiler(>=6.4)
      "6.4 or newer"
    #elseif compiler(>=6.3)
      "6.3"
    #else
      "6.2"
    #endif
  }

  private static func lines(_ path: String) -> [Substring] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var text = [UInt8](repeating: 0, count: 1 << 16)
    let count = fread(&text, 1, text.count, file)
    return String(decoding: text.prefix(count), as: UTF8.self).split(separator: "\n")
  }
}

func seconds(_ clock: clockid_t) -> Double {
  var time = timespec()
  clock_gettime(clock, &time)
  return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
/// CPU seconds of this process, system time included.
func processSeconds() -> Double { seconds(CLOCK_PROCESS_CPUTIME_ID) }
func wallSeconds() -> Double { seconds(CLOCK_MONOTONIC) }
func threadSeconds() -> Double { seconds(CLOCK_THREAD_CPUTIME_ID) }

func fail(_ text: String) -> Never {
  fputs("nebula-bench: \(text)\n", stderrStream())
  exit(1)
}
private func stderrStream() -> UnsafeMutablePointer<FILE>? { fdopen(2, "w") }
