"""The data that SPEC-AL 2.2 gives each event of a security server, and what else is told of it.

A name stands before the bar where every record has it, and after it where some do.
"""

_TOKEN = "tokenId tokenFriendlyName"
_KEY = f"{_TOKEN} keyId keyFriendlyName"
_SERIAL = "tokenSerialNumber"
_HASH = "certHash certHashAlgorithm"
_CERTIFICATE = f"{_KEY} certId {_HASH}"
_USAGE = f"{_SERIAL} keyUsage"
_REQUEST = "clientIdentifier managementRequestId clientStatus"
_DESCRIPTION = "clientIdentifier url serviceType"
_ENDPOINT = "clientIdentifier serviceCode method path"
_ANCHOR = "anchorFileHash anchorFileHashAlgorithm generatedAt"
_ORDER = "keyUsage subjectName certificationServiceName csrFormat"
_ORDERED = f"{_SERIAL} clientIdentifier isAcmeOrder subjectAltName"
_TABLE = f"""
INIT_ANCHOR                         {_ANCHOR} |
INIT_SERVER_CONFIGURATION           ownerIdentifier serverCode |
ADD_CLIENT                          clientIdentifier isAuthentication clientStatus | memberSubsystemName
REGISTER_CLIENT                     {_REQUEST} | memberSubsystemName
UNREGISTER_CLIENT                   {_REQUEST} |
DELETE_CLIENT                       clientIdentifier |
DELETE_ORPHANS                      clientIdentifier {_TOKEN} keyId keyFriendlyName keyUsage certHashes certHashAlgorithm | {_SERIAL} certRequestIds
SEND_OWNER_CHANGE_REQ               {_REQUEST} |
ENABLE_CLIENT                       {_REQUEST} |
DISABLE_CLIENT                      {_REQUEST} |
RENAME_SUBSYSTEM                    clientIdentifier memberSubsystemName | managementRequestId
ADD_SERVICE_DESCRIPTION             {_DESCRIPTION} disabled refreshedDate |
DELETE_SERVICE_DESCRIPTION          {_DESCRIPTION} |
DISABLE_SERVICE_DESCRIPTION         {_DESCRIPTION} disabledNotice |
ENABLE_SERVICE_DESCRIPTION          {_DESCRIPTION} |
REFRESH_SERVICE_DESCRIPTION         {_DESCRIPTION} | urlNew wsdl
EDIT_SERVICE_DESCRIPTION            {_DESCRIPTION} urlNew | wsdl
EDIT_SERVICE_PARAMS                 {_DESCRIPTION} services |
ADD_REST_ENDPOINT                   {_ENDPOINT} |
EDIT_REST_ENDPOINT                  {_ENDPOINT} |
DELETE_REST_ENDPOINT                {_ENDPOINT} |
ADD_SERVICE_ACCESS_RIGHTS           clientIdentifier serviceCode subjectIds | method path
REMOVE_SERVICE_ACCESS_RIGHTS        clientIdentifier serviceCode subjectIds | method path
ADD_SERVICE_CLIENT_ACCESS_RIGHTS    clientIdentifier subjectId serviceCodes |
REMOVE_SERVICE_CLIENT_ACCESS_RIGHTS clientIdentifier subjectId serviceCodes |
SET_CONNECTION_TYPE                 clientIdentifier isAuthentication |
ADD_CLIENT_INTERNAL_CERT            clientIdentifier {_HASH} | uploadFileName
DELETE_CLIENT_INTERNAL_CERT         clientIdentifier {_HASH} |
ADD_LOCAL_GROUP                     clientIdentifier groupCode groupDescription |
EDIT_LOCAL_GROUP_DESC               clientIdentifier groupCode groupDescription |
ADD_LOCAL_GROUP_MEMBERS             clientIdentifier groupCode memberIdentifiers |
REMOVE_LOCAL_GROUP_MEMBERS          clientIdentifier groupCode memberIdentifiers |
DELETE_LOCAL_GROUP                  clientIdentifier groupCode groupDescription |
GENERATE_INTERNAL_TLS_CSR           subjectName |
IMPORT_INTERNAL_TLS_CERT            {_HASH} | certFileName
GENERATE_INTERNAL_TLS_KEY_CERT      {_HASH} |
UPLOAD_ANCHOR                       {_ANCHOR} |
ADD_TSP                             tspName tspUrl tspCostType |
DELETE_TSP                          tspName tspUrl | tspCostType
EDIT_SECURITY_SERVER_ADDRESS        address |
ENABLE_MAINTENANCE_MODE             managementRequestId message |
DISABLE_MAINTENANCE_MODE            managementRequestId |
LOGIN_TOKEN                         {_TOKEN} | {_SERIAL}
LOGOUT_TOKEN                        {_TOKEN} | {_SERIAL}
CHANGE_PIN_TOKEN                    {_TOKEN} | {_SERIAL}
UPDATE_TOKEN_NAME                   {_TOKEN} | {_SERIAL}
UPDATE_KEY_NAME                     keyId keyFriendlyName |
GENERATE_KEY                        {_KEY} keyLabel | {_SERIAL}
DELETE_KEY_FROM_TOKEN_AND_CONFIG    {_KEY} | {_USAGE}
GENERATE_CSR                        {_KEY} {_ORDER} | {_ORDERED}
GENERATE_KEY_AND_CSR                {_KEY} keyLabel {_ORDER} | {_ORDERED}
DELETE_CSR                          {_KEY} csrId | {_USAGE}
IMPORT_CERT_FILE                    {_HASH} keyUsage | clientIdentifier certFileName
IMPORT_CERT_TOKEN                   {_CERTIFICATE} keyUsage clientIdentifier | {_SERIAL}
DELETE_CERT_FROM_CONFIG             {_CERTIFICATE} keyUsage | {_SERIAL}
DELETE_CERT_FROM_TOKEN              {_CERTIFICATE} | {_USAGE}
ACTIVATE_CERT                       {_CERTIFICATE} keyUsage | {_SERIAL}
DISABLE_CERT                        {_CERTIFICATE} keyUsage | {_SERIAL}
REGISTER_AUTH_CERT                  {_CERTIFICATE} address managementRequestId certStatus | {_USAGE}
UNREGISTER_AUTH_CERT                {_CERTIFICATE} managementRequestId certStatus | {_USAGE}
SKIP_UNREGISTER_AUTH_CERT           {_CERTIFICATE} certStatus | {_USAGE}
BACKUP                              backupFileName |
UPLOAD_BACKUP                       backupFileName |
DELETE_BACKUP                       backupFileName |
RESTORE_BACKUP                      backupFileName |
API_KEY_CREATE                      apiKeyId apiKeyRoles |
API_KEY_UPDATE                      apiKeyId apiKeyRoles |
API_KEY_REMOVE                      apiKeyId apiKeyRoles |
"""


def _row(line):
    event, _, told = line.partition(" ")
    needed, _, further = told.partition("|")
    return event, (set(needed.split()), set(further.split()))


DATA = dict(_row(line) for line in _TABLE.strip().splitlines())
