-- Serves "the newest check of a service". The design of the analytics decides whether it stays.
CREATE INDEX IF NOT EXISTS idx_service_health_checks_service_checked
    ON public.service_health_checks (service_name, checked_at DESC NULLS LAST);
