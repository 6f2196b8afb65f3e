SELECT tenancy.protect_table('docs');
