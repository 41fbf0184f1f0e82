internal import CCurl

/// Turns a request into the settings of a curl handle.
struct TransferSetup {
  let handle: UnsafeMutableRawPointer
  let request: HTTPRequest
  let url: CheckedURL
  let options: HTTPClientOptions

  /// Applies everything; the list of headers that is returned must live as long as the handle.
  func apply(
    context: UnsafeMutableRawPointer, reason: UnsafeMutablePointer<CChar>
  ) -> UnsafeMutablePointer<curl_slist>? {
    setAddress()
    setSecurity()
    setLimits()
    setKeepAlive()
    setMethod()
    setCallbacks(context)
    nebula_curl_set_pointer(handle, CURLOPT_ERRORBUFFER, reason)
    let list = headerList()
    nebula_curl_set_list(handle, CURLOPT_HTTPHEADER, list)
    return list
  }

  private func setAddress() {
    nebula_curl_set_string(handle, CURLOPT_URL, url.text)
    set(CURLOPT_PATH_AS_IS, 1)  // dots in a key are part of it, and were signed
    nebula_curl_set_string(handle, CURLOPT_PROTOCOLS_STR, url.scheme)
    set(CURLOPT_FOLLOWLOCATION, 0)
    set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    set(CURLOPT_NOSIGNAL, 1)
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    nebula_curl_set_string(handle, CURLOPT_USERAGENT, options.userAgent)
    if !options.usesProxyFromEnvironment || url.isLocal { nebula_curl_set_string(handle, CURLOPT_PROXY, "") }
  }

  private func setSecurity() {
    set(CURLOPT_SSL_VERIFYPEER, 1)
    set(CURLOPT_SSL_VERIFYHOST, 2)
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    if let file = options.caFile { nebula_curl_set_string(handle, CURLOPT_CAINFO, file) }
  }

  private func setLimits() {
    set(CURLOPT_CONNECTTIMEOUT_MS, options.connectTimeout.wholeMilliseconds)
    set(CURLOPT_TIMEOUT_MS, request.timeout.wholeMilliseconds)
    let stall = (request.stallTimeout ?? options.stallTimeout).wholeMilliseconds
    set(CURLOPT_LOW_SPEED_LIMIT, 1)
    set(CURLOPT_LOW_SPEED_TIME, max(1, (stall + 999) / 1000))
    set(CURLOPT_MAXAGE_CONN, max(1, options.maxIdle.wholeMilliseconds / 1000))
    if !request.acceptsGzip, request.method != "HEAD" {
      nebula_curl_set_offset(handle, CURLOPT_MAXFILESIZE_LARGE, curl_off_t(max(1, request.maxResponseBytes)))
    }
    if request.acceptsGzip { nebula_curl_set_string(handle, CURLOPT_ACCEPT_ENCODING, "gzip") }
  }

  /// Probes a silent connection, so that one whose other end has vanished ends, and a firewall keeps the others open.
  private func setKeepAlive() {
    set(CURLOPT_TCP_KEEPALIVE, 1)
    set(CURLOPT_TCP_KEEPIDLE, 30)
    set(CURLOPT_TCP_KEEPINTVL, 10)
  }

  private func setMethod() {
    if request.method == "HEAD" {
      set(CURLOPT_NOBODY, 1)
    } else if sendsBody {
      set(CURLOPT_UPLOAD, 1)
      nebula_curl_set_offset(handle, CURLOPT_INFILESIZE_LARGE, curl_off_t(request.body.count))
      set(CURLOPT_UPLOAD_BUFFERSIZE, request.body.count > 1 << 20 ? 1 << 20 : 64 << 10)
      nebula_curl_set_string(handle, CURLOPT_CUSTOMREQUEST, request.method)
    } else {
      set(CURLOPT_HTTPGET, 1)
      nebula_curl_set_string(handle, CURLOPT_CUSTOMREQUEST, request.method)
    }
  }

  /// `PUT`, `POST` and `PATCH` say their length even when it is 0.
  private var sendsBody: Bool {
    request.body.count > 0 || ["PUT", "POST", "PATCH"].contains(request.method)
  }

  private func setCallbacks(_ context: UnsafeMutableRawPointer) {
    nebula_curl_set_pointer(handle, CURLOPT_PRIVATE, context)
    nebula_curl_on_data(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
      transfer(context).receive(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
    }
    nebula_curl_set_pointer(handle, CURLOPT_WRITEDATA, context)
    nebula_curl_on_data(handle, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
      transfer(context).receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
    }
    nebula_curl_set_pointer(handle, CURLOPT_HEADERDATA, context)
    nebula_curl_on_data(handle, CURLOPT_READFUNCTION) { bytes, size, count, context in
      transfer(context).send(into: UnsafeMutableRawBufferPointer(start: bytes, count: size * count))
        ?? Int(CURL_READFUNC_ABORT)
    }
    nebula_curl_set_pointer(handle, CURLOPT_READDATA, context)
    nebula_curl_on_seek(handle) { context, offset, origin in
      origin == 0 && transfer(context).seek(to: Int(offset)) ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
    }
    nebula_curl_set_pointer(handle, CURLOPT_SEEKDATA, context)
    nebula_curl_on_prerequest(handle) { context, _, _, _, _ in
      transfer(context).mayBeSent() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
    }
    nebula_curl_set_pointer(handle, CURLOPT_PREREQDATA, context)
  }

  private func headerList() -> UnsafeMutablePointer<curl_slist>? {
    var list = curl_slist_append(nil, "Expect:")  // no 100-continue
    if request.headers["Accept"] == nil { list = curl_slist_append(list, "Accept: */*") }
    for field in request.headers.fields {
      // an empty value is written with a semicolon, else curl leaves the header out
      list = curl_slist_append(list, field.value.isEmpty ? "\(field.name);" : "\(field.name): \(field.value)")
    }
    return list
  }

  private func set(_ option: CURLoption, _ value: Int) { nebula_curl_set_long(handle, option, value) }
}

private func transfer(_ context: UnsafeMutableRawPointer?) -> Transfer {
  guard let context else { preconditionFailure("curl called without its transfer") }
  return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
}

extension Duration {
  /// Whole milliseconds, at least 1, at most what a C long of 32 bits holds.
  var wholeMilliseconds: Int {
    let (seconds, attoseconds) = components
    guard seconds < 2_000_000 else { return 2_000_000_000 }
    return max(1, Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
  }
}
