from kemi import router


class Routes(router.Router):
    pass
