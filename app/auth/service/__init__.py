"""The rules of identity, as verbs. Where an answer needs a password hashed, there is a step before and one after it,
so that no connection is held meanwhile; `routes.py` shows the order.
"""

from app.auth.service.accounts import change_profile, create_user, create_users, get_profile, hold_username
from app.auth.service.avatars import use_avatar
from app.auth.service.names import index_names
from app.auth.service.outcomes import Outcome
from app.auth.service.password import (
    change_password,
    check_old_password,
    count_old_password,
    prove_reset,
    request_reset,
    reset_password,
)
from app.auth.service.registration import keep_registration, open_registration, resend_code, verify
from app.auth.service.sessions import list_sessions, refresh, revoke_session
from app.auth.service.signing_in import LoginAttempt, check_password, count_login, sign_in
from app.auth.service.sweeps import sweep_expired
from app.auth.service.tickets import authenticate_socket, make_ticket, redeem_ticket

__all__ = [
    "LoginAttempt",
    "Outcome",
    "authenticate_socket",
    "change_password",
    "change_profile",
    "check_old_password",
    "check_password",
    "count_login",
    "count_old_password",
    "create_user",
    "create_users",
    "get_profile",
    "hold_username",
    "index_names",
    "keep_registration",
    "list_sessions",
    "make_ticket",
    "open_registration",
    "prove_reset",
    "redeem_ticket",
    "refresh",
    "request_reset",
    "resend_code",
    "reset_password",
    "revoke_session",
    "sign_in",
    "sweep_expired",
    "use_avatar",
    "verify",
]
