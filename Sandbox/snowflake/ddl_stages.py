"""Stages, internal and external, storage integrations, and file formats."""
import base64
import secrets

from . import external, formats
from .catalog import Stage, resolve
from .errors import SnowflakeError, syntax_error, unsupported
from .lexer import show_name
from .queries import status


def create_format(call, replace, temporary, transient, missing_only):
    full = resolve(call.session, call.cursor.name())
    if call.catalog.find("formats", full) is not None and missing_only:
        return status(f"{full[2]} already exists, statement succeeded.")
    given = formats.options(call.cursor.rest())
    given.pop("COMMENT", None)
    formats.Format(given)
    call.catalog.put("formats", full, given, replace)
    return status(f"File format {full[2]} successfully created.")


def drop_format(call, parts):
    full = resolve(call.session, parts)
    call.catalog.get("formats", full)
    call.catalog.drop("formats", full)


def create_stage(call, replace, temporary, transient, missing_only):
    cursor = call.cursor
    full = resolve(call.session, cursor.name())
    if not missing_only:
        missing_only = cursor.take("IF", "NOT", "EXISTS")
    call.catalog.schema(full[0], full[1])
    known = call.catalog.find("stages", full)
    if known is not None and missing_only:
        return status(f"{show_name(full[2])} already exists, statement succeeded.")
    call.session.require("CREATE STAGE", "schema", full[1])
    stage = Stage(call.catalog.number(), call.settings.default_encrypted, temporary=temporary,
                  presigned=call.settings.gcs_presigned,
                  master_key=base64.b64encode(secrets.token_bytes(call.settings.key_bytes)).decode())
    _stage_options(call, stage)
    if known is not None and replace:
        call.world.stages.forget(known)
    call.catalog.put("stages", full, stage, replace)
    return status(f"Stage area {show_name(full[2])} successfully created.")


def alter_stage(call):
    """ALTER STAGE [IF EXISTS] s SET URL | STORAGE_INTEGRATION | CREDENTIALS | FILE_FORMAT | COMMENT"""
    cursor = call.cursor
    if_exists = cursor.take("IF", "EXISTS")
    full = resolve(call.session, cursor.name())
    if if_exists and call.catalog.find("stages", full) is None:
        return status("Statement executed successfully.")
    stage = call.catalog.get("stages", full)
    cursor.expect("SET")
    _stage_options(call, stage, dict(stage.external) if stage.external else {})
    call.catalog.changed("stages", full)
    return status("Statement executed successfully.")


def _stage_options(call, stage, given=None):
    cursor, given, server_side = call.cursor, {} if given is None else given, None
    was_external = bool(given)
    while cursor.peek is not None:
        if cursor.take(","):
            continue
        option = cursor.identifier()
        cursor.expect("=")
        if option == "FILE_FORMAT":
            stage.file_format = formats.named(call, formats.options(cursor.parenthesised()))
            formats.Format(stage.file_format)
        elif option == "ENCRYPTION":
            server_side = str(formats.options(cursor.parenthesised()).get("TYPE")).upper()
        elif option == "COMMENT":
            stage.comment = cursor.next().value
        elif option == "DIRECTORY":
            if formats.options(cursor.parenthesised()).get("ENABLE"):
                raise unsupported("DIRECTORY = (ENABLE = TRUE)")
        elif option == "URL":
            given["url"] = cursor.next().value
        elif option == "STORAGE_INTEGRATION":
            given["integration"] = cursor.identifier()
            given.pop("credentials", None)
        elif option == "CREDENTIALS":
            given["credentials"] = formats.options(cursor.parenthesised())
            given.pop("integration", None)
        else:
            raise unsupported(f"CREATE STAGE {option}")
    if not given:
        if server_side not in (None, "SNOWFLAKE_FULL", "SNOWFLAKE_SSE"):
            raise unsupported(f"ENCRYPTION TYPE {server_side}")
        stage.encrypted = stage.encrypted if server_side is None else server_side == "SNOWFLAKE_FULL"
        return
    if not was_external and "url" not in given:
        raise syntax_error("a stage with STORAGE_INTEGRATION or CREDENTIALS needs a URL")
    if server_side not in (None, "NONE", "AWS_SSE_S3", "AWS_SSE_KMS", "GCS_SSE_KMS"):
        raise unsupported(f"ENCRYPTION TYPE {server_side}")
    stage.external, stage.encrypted = external.checked(call, given), False


def drop_stage(call, parts):
    full = resolve(call.session, parts)
    call.world.stages.forget(call.catalog.get("stages", full))
    call.catalog.drop("stages", full)


# --- storage integrations

INTEGRATION = {"TYPE", "STORAGE_PROVIDER", "STORAGE_AWS_ROLE_ARN", "STORAGE_AWS_EXTERNAL_ID", "AZURE_TENANT_ID", "ENABLED",
               "STORAGE_ALLOWED_LOCATIONS", "STORAGE_BLOCKED_LOCATIONS", "COMMENT"}


def create_integration(call, replace, temporary, transient, missing_only):
    name = call.cursor.identifier()
    if call.catalog.find("integrations", ("", "", name)) is not None and missing_only:
        return status(f"{name} already exists, statement succeeded.")
    call.session.require("CREATE INTEGRATION", "account", call.session.account)
    given = _integration_options(call, formats.options(call.cursor.rest()))
    for needed in ("TYPE", "STORAGE_PROVIDER", "ENABLED", "STORAGE_ALLOWED_LOCATIONS"):
        if needed not in given:
            raise syntax_error(f"CREATE STORAGE INTEGRATION without {needed}")
    provider = given["STORAGE_PROVIDER"] = str(given["STORAGE_PROVIDER"]).upper()
    if str(given["TYPE"]).upper() != "EXTERNAL_STAGE" or provider not in ("S3", "AZURE", "GCS"):
        raise unsupported(f"TYPE {given['TYPE']}, STORAGE_PROVIDER {provider}")
    if provider == "S3" and "STORAGE_AWS_ROLE_ARN" not in given or provider == "AZURE" and "AZURE_TENANT_ID" not in given:
        raise syntax_error("STORAGE_AWS_ROLE_ARN (S3) or AZURE_TENANT_ID (AZURE) is missing")
    for location in given["STORAGE_ALLOWED_LOCATIONS"]:
        if location != "*" and external.parse_url(location).provider != provider:
            raise SnowflakeError("001008", "22023", f"SQL compilation error:\ninvalid value [{location}] for parameter 'STORAGE_ALLOWED_LOCATIONS'")
    call.catalog.put("integrations", ("", "", name), given, replace)
    return status(f"Integration {name} successfully created.")


def _integration_options(call, given):
    for name in given:
        if name not in INTEGRATION:
            raise unsupported(f"STORAGE INTEGRATION {name}")
    for name in ("STORAGE_ALLOWED_LOCATIONS", "STORAGE_BLOCKED_LOCATIONS"):
        if name in given and not isinstance(given[name], list):
            raise syntax_error(f"{name} wants a list")
    return given


def alter_integration(call):
    cursor = call.cursor
    name = cursor.identifier()
    known = call.catalog.get("integrations", ("", "", name))
    cursor.expect("SET")
    known.update(_integration_options(call, formats.options(cursor.rest())))
    call.catalog.changed("integrations", ("", "", name))
    return status("Statement executed successfully.")


def drop_integration(call, parts):
    call.catalog.get("integrations", ("", "", parts[-1]))
    call.catalog.drop("integrations", ("", "", parts[-1]))
