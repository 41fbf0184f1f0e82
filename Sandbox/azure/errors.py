"""The service's errors: code, status and message, and the bodies in which the two endpoints wrap them."""
import json
from xml.sax.saxutils import escape

TABLE = {
    "AccountRequiresHttps": (400, "The account being accessed does not support http."),
    "AppendPositionConditionNotMet": (412, "The append position condition specified was not met."),
    "AuthenticationFailed": (403, "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
                                  "including the signature."),
    "AuthorizationFailure": (403, "This request is not authorized to perform this operation."),
    "AuthorizationPermissionMismatch": (403, "This request is not authorized to perform this operation using this permission."),
    "AuthorizationProtocolMismatch": (403, "This request is not authorized to perform this operation using this protocol."),
    "AuthorizationResourceTypeMismatch": (403, "This request is not authorized to perform this operation using this resource type."),
    "AuthorizationServiceMismatch": (403, "This request is not authorized to perform this operation using this service."),
    "AuthorizationSourceIPMismatch": (403, "This request is not authorized to perform this operation using this source IP."),
    "BlobAlreadyExists": (409, "The specified blob already exists."),
    "BlobNotFound": (404, "The specified blob does not exist."),
    "BlockCountExceedsLimit": (409, "The committed block count cannot exceed the maximum limit of 50,000 blocks."),
    "ConditionNotMet": (412, "The condition specified using HTTP conditional header(s) is not met."),
    "ContainerAlreadyExists": (409, "The specified container already exists."),
    "ContainerNotFound": (404, "The specified container does not exist."),
    "ContentLengthMustBeZero": (400, "The Content-Length request header must be zero."),
    "DirectoryIsNotEmpty": (409, "This operation is not permitted on a non-empty directory."),
    "DirectoryNotEmpty": (409, "The recursive query parameter value must be true to delete a non-empty directory."),
    "FilesystemAlreadyExists": (409, "The specified filesystem already exists."),
    "FilesystemNotFound": (404, "The specified filesystem does not exist."),
    "InternalError": (500, "The server encountered an internal error. Please retry the request."),
    "InvalidAuthenticationInfo": (401, "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."),
    "InvalidBlobOrBlock": (400, "The specified blob or block content is invalid."),
    "InvalidBlobType": (409, "The blob type is invalid for this operation."),
    "InvalidBlockList": (400, "The specified block list is invalid."),
    "InvalidFlushOperation": (409, "The resource was created or modified by the Azure Blob Service API and cannot be written to by the Azure Data "
                                   "Lake Storage Service API."),
    "InvalidFlushPosition": (400, "The uploaded data is not contiguous or the position query parameter value is not equal to the length of the file "
                                  "after appending the uploaded data."),
    "InvalidHeaderValue": (400, "The value for one of the HTTP headers is not in the correct format."),
    "InvalidInput": (400, "One of the request inputs is not valid."),
    "InvalidMd5": (400, "The MD5 value specified in the request is invalid. MD5 value must be 128 bits and base64-encoded."),
    "InvalidPropertyName": (400, "The property name contains invalid characters."),
    "InvalidQueryParameterValue": (400, "Value for one of the query parameters specified in the request URI is invalid."),
    "InvalidRange": (416, "The range specified is invalid for the current size of the resource."),
    "InvalidRenameSourcePath": (409, "The source directory cannot be the same as the destination directory, nor can the destination be a "
                                     "subdirectory of the source directory."),
    "InvalidResourceName": (400, "The specified resource name contains invalid characters."),
    "InvalidSourceOrDestinationResourceType": (409, "The source and destination resource type must be identical."),
    "InvalidSourceUri": (400, "The source URI is invalid."),
    "InvalidUri": (400, "The request URI is invalid."),
    "InvalidXmlDocument": (400, "XML specified is not syntactically valid."),
    "KeyBasedAuthenticationNotPermitted": (403, "Key based authentication is not permitted on this storage account."),
    "LeaseAlreadyPresent": (409, "There is already a lease present."),
    "LeaseIdMismatchWithBlobOperation": (412, "The lease ID specified did not match the lease ID for the blob."),
    "LeaseIdMismatchWithLeaseOperation": (409, "The lease ID specified did not match the lease ID for the resource with the specified lease "
                                               "operation."),
    "LeaseIdMissing": (412, "There is currently a lease on the resource and no lease ID was specified in the request."),
    "LeaseIsBreakingAndCannotBeAcquired": (409, "The lease ID matched, but the lease is currently in breaking state and cannot be acquired until it "
                                                "is broken."),
    "LeaseIsBreakingAndCannotBeChanged": (409, "The lease ID matched, but the lease is currently in breaking state and cannot be changed."),
    "LeaseIsBrokenAndCannotBeRenewed": (409, "The lease ID matched, but the lease has been broken explicitly and cannot be renewed."),
    "LeaseLost": (412, "A lease ID was specified, but the lease for the resource has expired."),
    "LeaseNotPresentWithBlobOperation": (412, "There is currently no lease on the blob."),
    "LeaseNotPresentWithLeaseOperation": (409, "There is currently no lease on the resource."),
    "MaxBlobSizeConditionNotMet": (412, "The max blob size condition specified was not met."),
    "Md5Mismatch": (400, "The MD5 value specified in the request did not match with the MD5 value calculated by the server."),
    "MissingContentLengthHeader": (411, "The Content-Length header was not specified."),
    "MissingRequiredHeader": (400, "An HTTP header that's mandatory for this request is not specified."),
    "MissingRequiredQueryParameter": (400, "A query parameter that's mandatory for this request is not specified."),
    "NoAuthenticationInformation": (401, "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."),
    "OperationTimedOut": (500, "The operation could not be completed within the permitted time."),
    "OutOfRangeInput": (400, "One of the request inputs is out of range."),
    "PathAlreadyExists": (409, "The specified path already exists."),
    "PathConflict": (409, "The specified path, or an element of the path, exists and its resource type is invalid for this operation."),
    "PathNotFound": (404, "The specified path does not exist."),
    "RenameDestinationParentPathNotFound": (404, "The parent directory of the destination path does not exist."),
    "RequestBodyTooLarge": (413, "The request body is too large and exceeds the maximum permissible limit."),
    "ResourceNotFound": (404, "The specified resource does not exist."),
    "ResourceTypeMismatch": (409, "The resource type specified in the request does not match the resource type of the existing resource."),
    "ServerBusy": (503, "The server is currently unable to receive requests. Please retry your request."),
    "SourceConditionNotMet": (412, "The source condition specified using HTTP conditional header(s) is not met."),
    "SourcePathNotFound": (404, "The source path for a rename operation does not exist."),
    "UnsupportedHeader": (400, "One of the HTTP headers specified in the request is not supported."),
    "UnsupportedHttpVerb": (405, "The resource doesn't support the specified HTTP verb."),
    "UnsupportedQueryParameter": (400, "One of the query parameters specified in the request URI is not supported."),
}
# What a fault of this status is called when its rule does not say.
USUAL = {400: "InvalidInput", 401: "InvalidAuthenticationInfo", 403: "AuthorizationFailure", 404: "ResourceNotFound", 408: "OperationTimedOut",
         409: "LeaseAlreadyPresent", 412: "ConditionNotMet", 429: "ServerBusy", 500: "InternalError", 503: "ServerBusy"}


class AzureError(Exception):
    def __init__(self, code, detail=None, *, status=None, message=None, headers=None):
        super().__init__(code)
        usual, text = TABLE.get(code, (500, code))
        self.code, self.status, self.message = code, status or usual, message or text
        self.detail, self.headers = detail, headers or {}


def body(error, endpoint, request_id, stamp):
    """(content type, bytes): JSON from the DFS endpoint, XML from the Blob endpoint. `detail` is what only a person should read."""
    text = f"{error.message}\nRequestId:{request_id}\nTime:{stamp}"
    if endpoint == "dfs":
        inner = {"code": error.code, "message": text}
        if error.detail:
            inner["detail"] = {"AuthenticationErrorDetail" if error.status in (401, 403) else "Detail": error.detail}
        return "application/json;charset=utf-8", json.dumps({"error": inner}).encode()
    extra = f"<AuthenticationErrorDetail>{escape(error.detail)}</AuthenticationErrorDetail>" if error.detail else ""
    return "application/xml", (f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{error.code}</Code><Message>{escape(text)}</Message>'
                               f"{extra}</Error>").encode()
