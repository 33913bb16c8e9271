-- Behind "the newest check of a service". Whether the analytics can do without it is decided with them.
CREATE INDEX IF NOT EXISTS idx_service_health_checks_service_checked
    ON public.service_health_checks (service_name, checked_at DESC NULLS LAST);
